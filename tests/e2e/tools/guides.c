/* SPDX-License-Identifier: MIT */
/*
 * The guides in etc/guides: every file that they print is taken from them, with only its ports,
 * paths and the stand-in for the reader's own program changed, and must do what they say.
 */
#include "tests/harness/client.h"
#include "tests/harness/installed.h"
#include "tests/harness/load.h"
#include "tests/harness/port.h"
#include "tests/harness/tempdir.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static const char *
guide(const char *name)
{
	const char *text = tempdir_read(talloc_asprintf(harness_mem(), "etc/guides/%s", name));

	if (text == NULL)
		harness_fail("no etc/guides/%s: run this at the top of the tree", name);
	return text;
}

/* The NUMBERth block of that kind, from 0. */
static const char *
block(const char *text, const char *kind, int number)
{
	const char *fence = talloc_asprintf(harness_mem(), "\n```%s\n", kind), *start = text, *end;

	for (int i = 0; i <= number; i++) {
		start = strstr(start, fence);
		if (start == NULL)
			harness_fail("the guide has no block %s %d", kind, number);
		start += strlen(fence);
	}
	end = strstr(start, "\n```\n");
	assert_non_null(end);
	return talloc_strndup(harness_mem(), start, (size_t)(end + 1 - start));
}

/* Every FROM becomes TO; there must be one. */
static const char *
with(const char *text, const char *from, const char *to)
{
	char *out = talloc_strdup(harness_mem(), "");
	const char *at;

	if (strstr(text, from) == NULL)
		harness_fail("the guide does not say \"%s\" in\n%s", from, text);
	for (; (at = strstr(text, from)) != NULL; text = at + strlen(from)) {
		out = talloc_strndup_append(out, text, (size_t)(at - text));
		out = talloc_strdup_append(out, to);
	}
	return talloc_strdup_append(out, text);
}

static const char *
number(int n)
{
	return talloc_asprintf(harness_mem(), "%d", n);
}

/* `baton ARGUMENT…` as the reader types it, in the folder of the example. */
static struct proc *
type(const char *dir, const char *command, const char *arg)
{
	return proc_start(
	    &(struct proc_spec){.argv = (const char *const[]){"baton", command, arg, NULL},
		.cwd = dir,
		.env = (const char *const[]){
		    talloc_asprintf(harness_mem(), "BATON_CONTROL=%s/control", dir),
		    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL}});
}

static void
stop(struct proc *p)
{
	proc_signal(p, SIGTERM);
	proc_finish(p, 0);
}

/* Clients that never ask twice go on while these are restarted, each of them twice. */
static void
restarted_under_load(const char *dir, uint16_t port, const char *target, const char *body,
    const char *const *services)
{
	struct load *l = load_start(&(struct load_spec){
	    .port = port, .oneshot = 4, .gap_ms = 1, .get = target, .expect = body});
	struct load_result r;

	load_wait_ok(l, 50);
	for (int i = 0; i < 2; i++) {
		for (const char *const *s = services; *s != NULL; s++) {
			proc_finish(type(dir, "restart", *s), 0);
			load_wait_ok(l, 50);
		}
	}
	r = load_stop(l);
	load_assert_clean(&r);
}

static void
the_go_server_is_kept(void **state)
{
	const char *text = guide("other-programs.md"), *dir = tempdir_new();
	uint16_t port = port_free(2);
	struct proc *p;

	(void)state;
	harness_need("/usr/bin/go");
	tempdir_write(dir, "app.go", "%s", block(text, "go", 0));
	proc_finish(
	    proc_start(&(struct proc_spec){
		.argv = (const char *const[]){"/bin/sh", "-euc", block(text, "sh", 0), NULL},
		.cwd = dir,
		.env =
		    (const char *const[]){talloc_asprintf(harness_mem(), "GOCACHE=%s/cache", dir),
			"GOFLAGS=", "GO111MODULE=off", NULL}}),
	    0);
	tempdir_write(dir, "baton.conf", "%s", with(block(text, "ini", 0), "8080", number(port)));
	p = type(dir, "run", NULL);
	proc_expect(p, PROC_OUT, "^Ctrl-C ");
	assert_string_equal(client_fetch(port + 1, "/"), "hello from Go\n");
	restarted_under_load(dir, port, "/", "hello from Go\n", (const char *const[]){"app", NULL});
	stop(p);
}

static void
nginx_is_kept(void **state)
{
	const char *text = guide("other-programs.md"), *dir = tempdir_new();
	uint16_t port = port_free(1);
	struct proc *p, *q;

	(void)state;
	harness_need("/usr/sbin/nginx");
	if (geteuid() != 0)
		harness_skip("Debian's nginx has its temporary files where root may write");
	tempdir_write(dir, "nginx.conf", "%s", with(block(text, "nginx", 0), "8080", number(port)));
	tempdir_write(
	    dir, "baton.conf", "%s", with(block(text, "ini nginx", 0), "8080", number(port)));
	p = type(dir, "run", NULL);
	proc_expect(p, PROC_ERR, "using inherited sockets from \"3;\"");
	proc_expect(p, PROC_OUT, "^Ctrl-C ");
	restarted_under_load(
	    dir, port, "/", "hello from nginx\n", (const char *const[]){"nginx", NULL});
	tempdir_write(dir, "nginx.conf", "nonsense;\n");
	q = proc_finish(type(dir, "restart", "nginx"), 1);
	assert_non_null(strstr(proc_text(q, PROC_ERR), "unknown directive \"nonsense\""));
	assert_string_equal(client_fetch(port, "/"), "hello from nginx\n");
	stop(p);
}

static void
haproxy_is_kept(void **state)
{
	const char *text = guide("other-programs.md"), *dir = tempdir_new(), *cfg, *conf;
	uint16_t port = port_free(3);
	struct proc *p, *q;

	(void)state;
	harness_need("/usr/sbin/haproxy");
	cfg = with(block(text, "haproxy", 0), "9000", number(port + 1));
	cfg = with(cfg, "9001", number(port + 2));
	tempdir_write(dir, "haproxy.cfg", "%s", cfg);
	conf = with(block(text, "ini haproxy", 0), "9000", number(port + 1));
	conf = with(conf, "8080", number(port));
	tempdir_write(dir, "baton.conf", "%s", with(conf, "./app", harness_built("hello")));
	p = type(dir, "run", NULL);
	proc_expect(p, PROC_OUT, "^Ctrl-C ");
	restarted_under_load(
	    dir, port, "/", "hello\n", (const char *const[]){"proxy", "app", NULL});
	/* And one that is wrong changes nothing. */
	tempdir_write(dir, "haproxy.cfg", "%s\tnonsense\n", cfg);
	q = proc_finish(type(dir, "restart", "proxy"), 1);
	assert_non_null(strstr(proc_text(q, PROC_ERR), "nonsense"));
	assert_string_equal(client_fetch(port, "/"), "hello\n");
	stop(p);
}

static void
the_systemd_guide_is_understood(void **state)
{
	const char *text = guide("systemd.md"), *conf;
	const struct installed i = installed_new();
	const char *unit = tempdir_path(i.prefix, "lib/systemd/system");
	uint16_t port = port_free(2);
	struct proc *p;

	(void)state;
	harness_need("/usr/bin/systemd-analyze");
	installed_sh(&i, "mkdir prefix/lib/systemd/system/baton.service.d");
	for (int n = 0; n < 2; n++)
		tempdir_write(unit, talloc_asprintf(harness_mem(), "baton.service.d/%d.conf", n),
		    "%s", block(text, "systemd", n));
	tempdir_write(unit, "baton.socket", "%s", block(text, "systemd", 2));
	assert_string_equal(
	    installed_sh(&i, "cd prefix/lib/systemd/system; systemd-analyze verify --man=no "
			     "./baton.service ./baton.socket 2>&1"),
	    "");
	/* The addresses of the socket unit are those of the configuration. */
	conf = with(block(text, "ini", 0), "0.0.0.0:8080", port_address(port));
	conf = with(conf, "/usr/local/bin/app", harness_built("hello"));
	conf = with(conf, "user      = www-data\n", "");
	tempdir_write(i.dir, "baton.conf", "%s", conf);
	p = proc_start(&(struct proc_spec){
	    .argv = (const char *const[]){"/usr/bin/systemd-socket-activate", "-E", "ASAN_OPTIONS",
		"-E", "BATON_CONTROL", "-l", port_address(port), "-l", port_address(port + 1),
		harness_built("baton"), "run", NULL},
	    .cwd = i.dir,
	    .env = (const char *const[]){
		talloc_asprintf(harness_mem(), "BATON_CONTROL=%s/control", i.dir), NULL}});
	proc_expect(p, PROC_ERR, "Listening on");
	proc_expect(p, PROC_ERR, "Listening on");
	assert_string_equal(client_fetch(port + 1, "/"), "hello\n");
	proc_expect(p, PROC_OUT, "^sockets from the service manager: 2$");
	stop(p);
}

/*
 * Both lists of packages are complete: that for building, and that of the libraries, of which
 * some are called NAMEt64 from Debian 13 on.
 */
static void
the_image_has_what_it_needs(void **state)
{
	const char *file = block(guide("container.md"), "dockerfile", 0);
	const char *script = talloc_asprintf(harness_mem(),
	    "awk '$1 == \"build\" { print $2 }' etc/packages;"
	    "for f in %s %s; do"
	    "  readelf -d \"$f\" | sed -n 's/.*NEEDED.*\\[\\(.*\\)\\]/\\1/p';"
	    "done | grep -vE '^(ld-|lib(c|m|asan|ubsan|tsan|gcc_s)\\.)' |"
	    "sed 's|^|*/|' | xargs -d '\\n' dpkg -S | sed 's/:.*//; s/t64$//' | sort -u",
	    harness_built("baton"), harness_built("hello"));
	struct proc *p = proc_finish(proc_run("/bin/sh", "-euc", script), 0);
	char *packages = talloc_strdup(harness_mem(), proc_text(p, PROC_OUT)), *save = NULL;
	int count = 0;

	(void)state;
	for (char *name = strtok_r(packages, "\n", &save); name != NULL;
	     name = strtok_r(NULL, "\n", &save), count++)
		if (strstr(file, talloc_asprintf(harness_mem(), " %s", name)) == NULL)
			harness_fail("the Dockerfile does not install %s:\n%s", name, file);
	assert_true(count > 10);
}

static void
the_entrypoint_runs_as_the_first_process(void **state)
{
	const char *text = guide("container.md"), *dir = tempdir_new(), *entry, *conf;
	struct proc *p = proc_run(
	    "/usr/bin/unshare", "--user", "--map-root-user", "--pid", "--fork", "/bin/true");
	uint16_t port = port_free(2);

	(void)state;
	if (proc_wait(p) != 0) {
		harness_skip("no pid namespace for this user: %s", proc_text(p, PROC_ERR));
	}
	conf = with(block(text, "ini", 0), "/tmp/baton.sock", tempdir_path(dir, "control"));
	conf = with(conf, "0.0.0.0:8080", port_address(port));
	conf = with(conf, "= app", talloc_asprintf(harness_mem(), "= %s", harness_built("hello")));
	tempdir_write(dir, "baton.conf", "%s", conf);
	/* ["baton", "run", …] is a list of words for the shell, too, without its punctuation. */
	entry = strstr(block(text, "dockerfile", 0), "\nENTRYPOINT [");
	assert_non_null(entry);
	entry = talloc_strndup(harness_mem(), entry + 13, strcspn(entry + 13, "]"));
	entry = with(with(entry, ",", ""), "/etc/baton.conf", tempdir_path(dir, "baton.conf"));
	entry = with(entry, "\"baton\"", harness_built("baton"));
	p = proc_start(&(struct proc_spec){
	    .argv = (const char *const[]){"/bin/sh", "-c",
		talloc_asprintf(harness_mem(),
		    "exec unshare --user --map-root-user --pid --fork --kill-child=SIGKILL %s",
		    entry),
		NULL},
	    .env = (const char *const[]){"ASAN_OPTIONS=detect_leaks=0", NULL}});
	proc_expect(p, PROC_OUT, "^Ctrl-C ");
	assert_string_equal(client_fetch(port + 1, "/"), "hello\n");
	proc_finish(proc_run("baton", "restart", "-c", tempdir_path(dir, "baton.conf")), 0);
	proc_finish(proc_run("baton", "stop", "-c", tempdir_path(dir, "baton.conf")), 0);
	proc_finish(p, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    e2e_test(the_go_server_is_kept),
	    e2e_test(nginx_is_kept),
	    e2e_test(haproxy_is_kept),
	    e2e_test(the_systemd_guide_is_understood),
	    e2e_test(the_image_has_what_it_needs),
	    e2e_test(the_entrypoint_runs_as_the_first_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
