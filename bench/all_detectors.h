/* The configuration of a run with all detectors on, as --anomalies alone makes it. */
#ifndef ALL_DETECTORS_H
#define ALL_DETECTORS_H

#include "flowlane/alert.h"
#include "flowlane/config.h"

static inline struct config all_detectors(void)
{
	struct config config = { .anomalies = true, .scan_grace_ns = 3000000000u, .anomaly_keys = 65536 };

	for (unsigned i = 0; i < ALERT_KIND_COUNT; i++)
		config.detector[i] = detector_info(i)->defaults;
	return config;
}

#endif
