"""Pose: where the joints of the performer are, and what follows from it. Knows nothing of files of media.

``coco17`` names the joints; ``keypoints`` holds them over time; ``sources`` reads files of them; ``mediapipe`` and
``movenet`` estimate them from pictures; ``tracking`` finds the performer among several people; ``smoothing`` takes
jitter out without filling gaps; ``kinematics`` turns them into angles, distances and phases.
"""
