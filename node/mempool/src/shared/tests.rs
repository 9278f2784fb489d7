//! Admission from many submitters at once.
