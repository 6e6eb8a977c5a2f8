"""PINE over Goldilocks: a fully linear proof that a shared vector obeys a bound on its L2 norm.

arXiv 2311.10237, draft-chen-cfrg-vdaf-pine-01; the proof system is that of draft-irtf-cfrg-vdaf-11, section 7.3. The
verifier message is linear in the measurement and the proof, so it is computed from Shamir shares as they stand.
"""
