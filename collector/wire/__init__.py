"""From bytes that strangers send to envelopes, one by one, whatever is wrong with their neighbours."""
