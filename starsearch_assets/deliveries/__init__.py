"""Webhook deliveries of the inbox, read into what content is merged from."""
