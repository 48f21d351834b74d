// Creates, describes, tags, finds by tag, and deletes a flow log with AWS's SDK for JavaScript.
// Rule: what it learned is one JSON object on standard output; the test judges it.
// Usage: node flow-logs.mjs ENDPOINT REGION VPC BUCKET-ARN FORMAT, with the key in the environment.

import {
  CreateFlowLogsCommand,
  CreateTagsCommand,
  DeleteFlowLogsCommand,
  DescribeFlowLogsCommand,
  EC2Client,
} from "@aws-sdk/client-ec2";

const [endpoint, region, vpc, bucket, format] = process.argv.slice(2);
const client = new EC2Client({ endpoint, region, maxAttempts: 1 });

const created = await client.send(
  new CreateFlowLogsCommand({
    ResourceType: "VPC",
    ResourceIds: [vpc],
    TrafficType: "ALL",
    LogDestinationType: "s3",
    LogDestination: bucket,
    LogFormat: format,
    MaxAggregationInterval: 60,
  }),
);
const ids = created.FlowLogIds;
await client.send(new CreateTagsCommand({ Resources: ids, Tags: [{ Key: "made by", Value: "a+b/c & ü" }] }));
const found = await client.send(
  new DescribeFlowLogsCommand({ Filter: [{ Name: "tag:made by", Values: ["a+b/c & ü"] }] }),
);
const deleted = await client.send(new DeleteFlowLogsCommand({ FlowLogIds: ids }));
const missing = await client
  .send(new DescribeFlowLogsCommand({ FlowLogIds: ids }))
  .then(() => null, (error) => ({ name: error.name, status: error.$metadata.httpStatusCode }));

console.log(
  JSON.stringify({
    token: created.ClientToken,
    ids,
    failed: created.Unsuccessful,
    found: found.FlowLogs,
    undeleted: deleted.Unsuccessful,
    missing,
  }),
);
