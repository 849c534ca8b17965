#!/bin/sh
# Creates the RayJob and waits for its end: a CronJob that did not wait could not forbid overlap.
set -eu
job=$(kubectl create --filename "${RAYJOB:-/cutpoint/rayjob.yaml}" --output name)
echo "started $job"
# A CronJob that is stopped takes its study along: the trials save themselves.
trap 'kubectl delete "$job" --wait=false; exit 143' TERM INT
while :; do
    # A question that is not answered says nothing about the study: it is asked again.
    status=$(kubectl get "$job" --output 'jsonpath={.status.jobDeploymentStatus}') || status=
    case $status in
    Complete)
        echo "$job is complete"
        exit 0
        ;;
    Failed)
        kubectl get "$job" --output 'jsonpath={.status.message}' || :
        echo "$job has failed" >&2
        exit 1
        ;;
    esac
    sleep "${WAIT_SECONDS:-30}" &
    wait $!
done
