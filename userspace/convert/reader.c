#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "log.h"

static const char *const names[FORMAT_COUNT] = { "csv_flow", "binary", "pipe", "nfcapd" };

const char *format_name(enum record_format format)
{
	return names[format];
}

int format_parse(const char *name, enum record_format *format)
{
	for (unsigned i = 0; i < FORMAT_COUNT; i++) {
		if (!strcmp(name, names[i])) {
			*format = (enum record_format)i;
			return 0;
		}
	}
	return -EINVAL;
}

int reader_detect(const char *path, enum record_format *format)
{
	char head[512];
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int error = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;

	if (!error && S_ISDIR(st.st_mode)) {
		*format = FORMAT_BINARY;
	} else if (!error) {
		ssize_t n = pread(fd, head, sizeof(head), 0);
		if (n < 0)
			error = errno == ESPIPE ? -ESPIPE : -errno;
		else if (n >= 2 && (load_le16(head) == NFCAPD_MAGIC || load_be16(head) == NFCAPD_MAGIC))
			*format = FORMAT_NFCAPD;
		else
			*format = memchr(head, '|', (size_t)n) ? FORMAT_PIPE : FORMAT_CSV_FLOW;
	}
	if (fd >= 0)
		close(fd);
	if (error == -ESPIPE)
		log_error("convert: \"%s\" is a pipe, and its format cannot be told beforehand; give --from", path);
	else if (error)
		log_error("convert: cannot read \"%s\": %s", path, strerror(-error));
	return error;
}

int reader_open(const char *path, enum record_format format, struct reader **reader)
{
	switch (format) {
	case FORMAT_BINARY:
		return binary_reader_open(path, reader);
	case FORMAT_NFCAPD:
		return nfcapd_reader_open(path, reader);
	default:
		return text_reader_open(path, format, reader);
	}
}
