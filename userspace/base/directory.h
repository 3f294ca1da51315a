/* The directory that an output writes files into. Control thread. */
#ifndef FLOWLANE_DIRECTORY_H
#define FLOWLANE_DIRECTORY_H

/* Makes it if there is none; its parent must be there. `what` is for messages. 0, or a negative errno, logged. */
int directory_make(const char *what, const char *path);

#endif
