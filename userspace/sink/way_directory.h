/* The directory that an export writes files into. Control thread. */
#ifndef FLOWLANE_WAY_DIRECTORY_H
#define FLOWLANE_WAY_DIRECTORY_H

/* Makes it if there is none; its parent must be there. 0, or a negative errno, logged. */
int way_directory_make(const char *what, const char *path);

#endif
