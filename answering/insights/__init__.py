"""Figures about projects and people, on the tools role: one typed function a measure, each with what it rests on."""
