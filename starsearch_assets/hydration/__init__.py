"""What events leave out, asked of GitHub's API."""
