"""Pose: where the joints of the performer are, and what follows from it. Knows nothing of files of media.

``coco17`` names the joints, holds them over time, takes jitter out without filling gaps, and finds the performer among
several people; ``sources`` reads files of joints; ``estimators`` find them in pictures, with ``weights`` that are
checked; ``kinematics`` turns them into angles, distances and phases.
"""
