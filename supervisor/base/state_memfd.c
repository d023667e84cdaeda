/* SPDX-License-Identifier: MIT */
/* The document's way from one program to the next: a file without a name that nobody can change. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/base/state.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* The state of ten thousand instances is smaller; what is larger is not read. */
#define TEXT_MAX_BYTES (64L * 1024 * 1024)

static int
write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return fcntl(fd, F_ADD_SEALS, SEALS) < 0 ? -errno : 0;
}

int
state_memfd_write(const char *text)
{
	int fd = memfd_create("baton-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int error;

	if (fd < 0)
		return -errno;
	error = write_all(fd, text, strlen(text));
	if (error == 0)
		return fd;
	close(fd);
	return error;
}

/* From its beginning, wherever the last reader has left it. */
static bool
read_all(int fd, char *text, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = pread(fd, text + at, len - at, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

char *
state_memfd_read(TALLOC_CTX *mem, int fd, size_t *len, const char **why)
{
	const int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	char *text;

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0 ||
	    st.st_size > TEXT_MAX_BYTES) {
		*why = "it is not the sealed state of a baton";
		return NULL;
	}
	text = talloc_array(mem, char, (size_t)st.st_size + 1);
	if (text == NULL || !read_all(fd, text, (size_t)st.st_size)) {
		*why = text == NULL ? "there is no memory" : "it cannot be read";
		talloc_free(text);
		return NULL;
	}
	text[st.st_size] = '\0';
	*len = (size_t)st.st_size;
	return text;
}
