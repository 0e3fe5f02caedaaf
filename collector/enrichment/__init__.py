"""What is found out about an event's surroundings: device, place, page, referrer, campaign, and whose it is."""
