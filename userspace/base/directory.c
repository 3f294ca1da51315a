#include "directory.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

int directory_make(const char *what, const char *path)
{
	struct stat st;
	int error = mkdir(path, 0777) < 0 ? -errno : 0;

	if (error == -EEXIST) {
		error = stat(path, &st) < 0 ? -errno : S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
		if (!error && access(path, W_OK | X_OK) < 0)
			error = -errno;
	}
	if (error == -ENOTDIR)
		log_error("%s: \"%s\" is no directory; name one, it is made if its parent is there", what, path);
	else if (error)
		log_error("%s: cannot write into the directory \"%s\": %s; create its parent, or choose another place", what, path,
			strerror(-error));
	return error;
}
