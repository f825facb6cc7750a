"""The LEMS compiler: neural mass models written in XML become JAX functions."""
