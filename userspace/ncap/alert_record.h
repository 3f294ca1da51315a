/* Alert records, of what the anomaly detectors found. */
#ifndef FLOWLANE_NCAP_ALERT_RECORD_H
#define FLOWLANE_NCAP_ALERT_RECORD_H

#include "audit_record.h"
#include "flowlane/alert.h"

/* Length and message; NULL: there is no room. */
uint8_t *alert_record(struct encoder *encoder, const struct alert *alert, uint8_t *out);

#endif
