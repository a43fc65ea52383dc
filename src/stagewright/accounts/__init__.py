"""Key accounts: clients, projects and the requests that they keep with us."""
