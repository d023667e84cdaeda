/* SPDX-License-Identifier: MIT */
/* Where baton's control group is, by what the kernel says about mounts and processes. */
#include "supervisor/process/cgroup.h"
#include "tests/harness/harness.h"

#define HYBRID                                                                       \
	"31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"        \
	"35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n" \
	"41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
#define PURE                                    \
	"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" \
	"30 22 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec - cgroup2 cgroup2 rw\n"
#define PART     "30 22 0:26 /system.slice/a.service /sys/fs/cgroup ro - cgroup2 cgroup rw\n"
#define SPACES   "30 22 0:26 / /mnt/my\\040groups\\134x rw - cgroup2 cgroup rw\n"
#define ONLY_ONE "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"

#define NO_MOUNT "no cgroup filesystem of version 2 is mounted"
#define OUTSIDE  "baton's own control group is not below the one that is mounted"

static void
the_directory_follows_from_mounts_and_membership(void **state)
{
	static const struct {
		const char *mounts, *groups, *dir, *why;
	} rows[] = {
	    {HYBRID, "4:memory:/a\n0::/\n", "/sys/fs/cgroup/unified", NULL},
	    {HYBRID, "4:memory:/a\n0::/user.slice/x\n", "/sys/fs/cgroup/unified/user.slice/x",
		NULL},
	    {PURE, "0::/system.slice/b.service\n", "/sys/fs/cgroup/system.slice/b.service", NULL},
	    {PURE, "0::/", "/sys/fs/cgroup", NULL},
	    {PART, "0::/system.slice/a.service\n", "/sys/fs/cgroup", NULL},
	    {PART, "0::/system.slice/a.service/sub\n", "/sys/fs/cgroup/sub", NULL},
	    {PART, "0::/system.slice/a.service2\n", NULL, OUTSIDE},
	    {PART, "0::/\n", NULL, OUTSIDE},
	    {PURE, "0::/../outside\n", NULL, OUTSIDE},
	    {SPACES, "0::/g\n", "/mnt/my groups\\x/g", NULL},
	    {ONLY_ONE, "4:memory:/a\n", NULL, NO_MOUNT},
	    {ONLY_ONE, "4:memory:/a\n0::/\n", NULL, NO_MOUNT},
	    {PURE, "4:memory:/a\n", NULL, NO_MOUNT},
	    {"", "", NULL, NO_MOUNT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *why = NULL;
		char *dir = cgroup_directory(harness_mem(), rows[i].mounts, rows[i].groups, &why);

		if (rows[i].dir == NULL) {
			assert_null(dir);
			assert_string_equal(why, rows[i].why);
		} else {
			assert_non_null(dir);
			assert_string_equal(dir, rows[i].dir);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(the_directory_follows_from_mounts_and_membership),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
