/* SPDX-License-Identifier: MIT */
/* Runs protoc-gen-c. Its input and output are files in memory, so that neither of us can wait for
 * the other to read. */
#include "messages.h"

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* The program: as given, else next to us, else to be found in PATH. */
static const char *find_plugin(struct model *model)
{
	char path[PATH_MAX];
	ssize_t len;

	if (model->parameters.protoc_gen_c != NULL)
		return model->parameters.protoc_gen_c;

	len = readlink("/proc/self/exe", path, sizeof path);
	while (len > 0 && path[len - 1] != '/')
		len--;
	if (len > 0) {
		const char *beside = arena_format(model->arena, "%.*sprotoc-gen-c", (int)len, path);

		if (access(beside, X_OK) == 0)
			return beside;
	}
	return "protoc-gen-c";
}

static bool write_all(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static bool read_all(struct arena *arena, int fd, const uint8_t **ret_data, size_t *ret_len)
{
	struct stat stat;
	uint8_t *data;
	size_t len = 0;

	if (fstat(fd, &stat) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return false;
	data = arena_alloc(arena, (size_t)stat.st_size + 1);
	while (len < (size_t)stat.st_size) {
		ssize_t n = read(fd, data + len, (size_t)stat.st_size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		len += (size_t)n;
	}
	*ret_data = data;
	*ret_len = len;
	return true;
}

static bool spawn_and_wait(struct model *model, int in, int out)
{
	const char *program = find_plugin(model);
	char *argv[] = { arena_copy(model->arena, program, strlen(program)), NULL };
	posix_spawn_file_actions_t actions;
	int status, r;
	pid_t pid;

	if (posix_spawn_file_actions_init(&actions) != 0)
		return model_fail(model, "cannot run %s: %s", program, strerror(ENOMEM));
	r = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawnp(&pid, program, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (r != 0)
		return model_fail(model,
				  "cannot run %s: %s (it writes the messages; on Debian it comes "
				  "with protobuf-c-compiler; --minirpc_opt=protoc_gen_c=PATH names "
				  "another)",
				  program, strerror(r));

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return model_fail(model, "waiting for %s: %s", program, strerror(errno));
	}
	if (WIFSIGNALED(status))
		return model_fail(model, "%s was ended by signal %d", program, WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		return model_fail(model, "%s failed with exit code %d", program,
				  WEXITSTATUS(status));
	return true;
}

bool child_run(struct model *model, const uint8_t *request, size_t len,
	       const uint8_t **ret_response, size_t *ret_len)
{
	int in = memfd_create("request", MFD_CLOEXEC);
	int out = memfd_create("response", MFD_CLOEXEC);
	bool ok;

	if (in < 0 || out < 0 || !write_all(in, request, len) || lseek(in, 0, SEEK_SET) < 0)
		ok = model_fail(model, "no room for the request to protoc-gen-c: %s",
				strerror(errno));
	else if (!spawn_and_wait(model, in, out))
		ok = false;
	else if (!read_all(model->arena, out, ret_response, ret_len))
		ok = model_fail(model, "the answer of protoc-gen-c cannot be read: %s",
				strerror(errno));
	else
		ok = true;
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return ok;
}
