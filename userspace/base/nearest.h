/* Which of the names that exist the user most likely meant. */
#ifndef FLOWLANE_NEAREST_H
#define FLOWLANE_NEAREST_H

/* The candidate that a typist most likely meant; NULL if none is near. */
const char *nearest_name(const char *given, const char *const *names, unsigned count);

#endif
