/* SPDX-License-Identifier: MIT */
/* The driver of the normal run: every file of the folders named on the command line, whole, and cut
 * after each of its first 512 bytes.
 *
 * It says which file it is at before it begins with it, so that the last line names the culprit. */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>

#define MOST (1u << 20)
#define CUTS 512u

static uint8_t *read_file(const char *path, size_t *ret_len)
{
	uint8_t *data = malloc(MOST);
	FILE *file = fopen(path, "rb");

	if (data == NULL || file == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(EXIT_FAILURE);
	}
	*ret_len = fread(data, 1, MOST, file);
	fclose(file);
	return data;
}

/* From memory of just the right size. */
static void replay(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len == 0 ? 1 : len);

	hold(copy != NULL);
	if (len > 0)
		memcpy(copy, data, len);
	fuzz_one(copy, len);
	free(copy);
}

static void replay_file(const char *path)
{
	uint8_t *data;
	size_t len, cut;

	printf("%s\n", path);
	fflush(stdout);
	data = read_file(path, &len);
	for (cut = 0; cut < len && cut < CUTS; cut++)
		replay(data, cut);
	replay(data, len);
	free(data);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int replay_folder(const char *folder)
{
	struct dirent **files;
	int count = scandir(folder, &files, NULL, by_name), replayed = 0;
	char path[4096];

	for (int i = 0; i < count; i++) {
		if (files[i]->d_name[0] != '.') {
			snprintf(path, sizeof path, "%s/%s", folder, files[i]->d_name);
			replay_file(path);
			replayed++;
		}
		free(files[i]);
	}
	if (count >= 0)
		free(files);
	return replayed;
}

int main(int argc, char **argv)
{
	int replayed = 0;

	for (int i = 1; i < argc; i++)
		replayed += replay_folder(argv[i]);
	printf("%d inputs\n", replayed);
	return replayed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
