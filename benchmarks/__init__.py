"""Speed, memory and quality, measured; never run as tests."""
