/*
 * What signals do to a run: SIGINT and SIGTERM stop the lanes, the second one quits at once; SIGHUP reopens outputs; SIGPIPE and
 * SIGXFSZ (ulimit -f) are errors of the write that met them, not the end of the process. Control thread.
 */
#ifndef FLOWLANE_SIGNALS_H
#define FLOWLANE_SIGNALS_H

struct lanes;

void signals_attach(struct lanes *lanes); /* from now on signals act on these lanes */
void signals_detach(void);                /* before lanes_close(): later ones only count */
int signals_stop_signal(void);            /* SIGINT or SIGTERM, whichever came first; 0: none */

#endif
