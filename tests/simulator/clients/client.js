// The platform's own SDK for JavaScript, driven against the simulator: what it reads is printed, a JSON object a line.
// Arguments: host, port, client id, client secret, interval of the queries.
"use strict";
const platform = require("purecloud-platform-client-v2");
const WebSocket = require("ws");

const [host, port, id, secret, interval] = process.argv.slice(2);
const tell = (step, value) => process.stdout.write(JSON.stringify({ step, ...value }) + "\n");

async function all(ask) {
  const found = [];
  for (let pageNumber = 1; ; pageNumber++) {
    const page = await ask({ pageSize: 4, pageNumber });
    found.push(...page.entities.map((one) => one.id));
    if (pageNumber >= page.pageCount) return found;
  }
}

async function details(analytics) {
  const found = [];
  for (let pageNumber = 1; ; pageNumber++) {
    const paging = { pageSize: 200, pageNumber };
    const page = await analytics.postAnalyticsConversationsDetailsQuery({ interval, order: "ASC", paging });
    if (!page.conversations) return { ids: found, pages: pageNumber };
    found.push(...page.conversations.map((one) => one.conversationId));
  }
}

async function job(analytics) {
  const { jobId } = await analytics.postAnalyticsConversationsDetailsJobs({ interval });
  const { state } = await analytics.getAnalyticsConversationsDetailsJob(jobId);
  const ids = [];
  for (let cursor; ; ) {
    const options = cursor ? { cursor, pageSize: 100 } : { pageSize: 100 };
    const page = await analytics.getAnalyticsConversationsDetailsJobResults(jobId, options);
    ids.push(...page.conversations.map((one) => one.conversationId));
    cursor = page.cursor;
    if (!cursor) break;
  }
  await analytics.deleteAnalyticsConversationsDetailsJob(jobId);
  const after = (await analytics.getAnalyticsConversationsDetailsJob(jobId)).state;
  return { state, ids, after };
}

async function listen(queues) {
  const notifications = new platform.NotificationsApi();
  const channel = await notifications.postNotificationsChannels();
  const topics = queues.map((queue) => ({ id: `v2.routing.queues.${queue}.conversations` }));
  const permitted = await notifications.postNotificationsChannelSubscriptions(channel.id, topics);
  const listed = await notifications.getNotificationsChannelSubscriptions(channel.id);
  const socket = new WebSocket(channel.connectUri);
  socket.on("error", (error) => { tell("error", { message: String(error) }); process.exit(1); });
  const events = [];
  socket.on("message", (data) => {
    const frame = JSON.parse(data);
    if (frame.topicName === "channel.metadata") return tell("metadata", { message: frame.eventBody.message });
    events.push({ topic: frame.topicName, conversation: frame.eventBody.id });
    if (events.length < 50) return;
    tell("events", { events });
    socket.close();
  });
  socket.on("open", () => {
    socket.send(JSON.stringify({ message: "ping" }));
    tell("listening", {
      uri: channel.connectUri, states: permitted.entities.map((one) => one.state), listed: listed.entities.length,
    });
  });
}

async function main() {
  const client = platform.ApiClient.instance;
  client.setGateway({ host, port: Number(port), protocol: "https" });
  await client.loginClientCredentialsGrant(id, secret);
  const analytics = new platform.AnalyticsApi();
  const queues = await all((page) => new platform.RoutingApi().getRoutingQueues(page));
  tell("queues", { ids: queues });
  tell("users", { ids: await all((page) => new platform.UsersApi().getUsers(page)) });
  tell("details", await details(analytics));
  tell("job", await job(analytics));
  const query = { interval, groupBy: ["queueId"], metrics: ["nOffered", "tTalk"] };
  tell("aggregates", { results: (await analytics.postAnalyticsConversationsAggregatesQuery(query)).results });
  tell("token", await new platform.TokensApi().getTokensMe());
  await new platform.TokensApi().headTokensMe();
  try {
    await new platform.ConversationsApi().getConversation("00000000-0000-4000-8000-000000000000");
  } catch (error) {
    tell("missing", { status: error.status, code: (error.body || error).code });
  }
  await listen(queues);
}

main().catch((error) => {
  tell("error", { message: String(error && error.message), status: error && error.status, body: error && error.body });
  process.exit(1);
});
