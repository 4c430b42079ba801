// Answers the failover metadata (docs/clients.md) at the edge. DOCUMENT stands before this: components/metadata.py.

const PATH = "/failover.json";
const METHODS = ["GET", "HEAD"];

export default {
  fetch(request) {
    if (new URL(request.url).pathname !== PATH) {
      return new Response("Not found\n", { status: 404 });
    }
    if (!METHODS.includes(request.method)) {
      return new Response("Method not allowed\n", { status: 405, headers: { Allow: METHODS.join(", ") } });
    }
    return new Response(request.method === "HEAD" ? null : JSON.stringify(DOCUMENT), {
      headers: {
        "Content-Type": "application/json",
        "Cache-Control": `public, max-age=${DOCUMENT.ttl}`,
        // Web chat runs on pages of other hosts than ours, and nothing here is secret.
        "Access-Control-Allow-Origin": "*",
      },
    });
  },
};
