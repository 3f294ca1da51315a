/* Lists of numbers as people write them: "0-3,6" is 0 1 2 3 6. For setup. */
#ifndef FLOWLANE_NUMBER_LIST_H
#define FLOWLANE_NUMBER_LIST_H

/*
 * Fills numbers[], in the order of the text; blanks around a number are allowed. Their count, at least 1, or
 *   -EINVAL  not such a list (empty, "3-1", "a", "1,,2")
 *   -ERANGE  *bad, the first number above `limit`
 *   -EEXIST  *bad is there twice
 *   -ENOSPC  more than `room` numbers
 * On an error numbers[] holds anything.
 */
int number_list_parse(const char *text, unsigned limit, unsigned *numbers, unsigned room, unsigned *bad);

#endif
