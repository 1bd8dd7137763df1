/*
 * What libkdumpfile reads of a dump: a line "PFN HASH" for every frame it has,
 * with FNV-1a of the page, and "PFN !STATUS" where it fails for another reason
 * than that the page is not there.
 *
 * pages PAGE_SIZE END_PFN FILE...
 */
#include <fcntl.h>
#include <inttypes.h>
#include <libkdumpfile/kdumpfile.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	if (argc < 4) {
		fprintf(stderr, "pages PAGE_SIZE END_PFN FILE...\n");
		return 2;
	}
	size_t page_size = strtoul(argv[1], NULL, 0);
	uint64_t end = strtoull(argv[2], NULL, 0);
	unsigned files = argc - 3;
	int *fds = calloc(files, sizeof(*fds));
	unsigned char *page = malloc(page_size);
	kdump_ctx_t *ctx = kdump_new();
	if (!fds || !page || !ctx) {
		fprintf(stderr, "no memory\n");
		return 2;
	}
	for (unsigned i = 0; i < files; i++) {
		fds[i] = open(argv[3 + i], O_RDONLY);
		if (fds[i] < 0) {
			perror(argv[3 + i]);
			return 2;
		}
	}
	if (kdump_open_fdset(ctx, files, fds) != KDUMP_OK) {
		fprintf(stderr, "%s\n", kdump_get_err(ctx));
		return 3;
	}
	for (uint64_t pfn = 0; pfn < end; pfn++) {
		size_t len = page_size;
		kdump_status status = kdump_read(ctx, KDUMP_MACHPHYSADDR,
						 pfn * page_size, page, &len);
		if (status == KDUMP_ERR_NODATA)
			continue;
		if (status != KDUMP_OK) {
			printf("%" PRIu64 " !%d\n", pfn, status);
			continue;
		}
		uint64_t hash = 0xcbf29ce484222325u;
		for (size_t i = 0; i < page_size; i++)
			hash = (hash ^ page[i]) * 0x100000001b3u;
		printf("%" PRIu64 " %016" PRIx64 "\n", pfn, hash);
	}
	kdump_free(ctx);
	return 0;
}
