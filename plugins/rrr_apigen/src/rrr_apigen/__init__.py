"""APIGen: answer a query with exactly the right calls of the functions on offer."""
