/* A flow of an index as a line of JSON. */
#ifndef FLOWLANE_FLOW_LIST_H
#define FLOWLANE_FLOW_LIST_H

#include <stdio.h>

#include "index_format.h"

void flow_list_print(FILE *file, const char *index, const struct index_key *key, const struct index_flow *record);

#endif
