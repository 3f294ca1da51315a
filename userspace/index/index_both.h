/* Two pieces of work at once, of which none waits for the other. */
#ifndef FLOWLANE_INDEX_BOTH_H
#define FLOWLANE_INDEX_BOTH_H

/* work(first) on this thread, and work(second) on another; where there is none to be had, one after the other. Returns when both are done. */
void index_both(void *(*work)(void *), void *first, void *second);

#endif
