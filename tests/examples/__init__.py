"""The worked examples in examples/ do what they say."""
