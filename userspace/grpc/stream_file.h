/* Certificates and keys, which gRPC wants as text. Control thread. */
#ifndef FLOWLANE_STREAM_FILE_H
#define FLOWLANE_STREAM_FILE_H

/* The whole file, to be freed; 0, or a negative errno, logged: it cannot be read (or has no PEM block of this kind: -EINVAL). */
int stream_file_read(const char *option, const char *path, const char *kind, char **text);

#endif
