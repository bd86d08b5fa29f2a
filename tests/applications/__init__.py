"""Where agents live: web servers, test clients, notebooks, threads, and beside an application's own Tortoise."""
