"""How many machines a company needs: a day of arrivals, measured costs, queues, prices. It asks no home."""
