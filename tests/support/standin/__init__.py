"""A stand-in for `mongod`, for tests on machines that can't have MongoDB's own server.

It behaves as mongod does where the manifests and `demijohn configure-database` depend on it (the
replica set, the localhost exception, authentication), and hands everything else to SecantusDB. The
folder stands alone, so that an image can be made of it: it needs `secantusdb` and `pymongo`.
`standalone` stands in for a mongod that is no replica set.

What it does not show: SecantusDB looks at a role's database and not at its collection, its
`readWrite` has `collMod`, and its clients are mongod's own by grace of the proxy in front.
"""
