//! H.264: NAL units, parameter sets, access units in length-prefixed form (ITU-T H.264, ISO/IEC 14496-15).
