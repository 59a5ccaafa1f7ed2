"""Does the service keep its promises on this very cluster?

A drill loads the service, has something happen to it, counts at the client, and reads in the
database what came of it. `load` makes the load (a process of its own, here or as a Job), `run`
watches the cluster meanwhile, `rollout`, `autoscale` and `data` are the drills, `verdict` judges.
"""
