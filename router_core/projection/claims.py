"""Published savings claims, recomputed from the inputs they state."""
