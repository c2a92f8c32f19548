//! Learned initial laws against closed forms.
