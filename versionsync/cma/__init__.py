"""DatoCMS's Content Management API, and nothing of ours: an asynchronous client that paces itself."""
