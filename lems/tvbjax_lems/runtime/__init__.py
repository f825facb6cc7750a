"""Networks of LEMS components: from bound components to arrays that are stepped in one jit."""
