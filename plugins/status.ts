import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** What the status routes tell. */
export interface StatusFacts {
  /** Valid semver; clients gate features on it (contract 5.7, 11.1). */
  readonly version: string
  readonly buildDate: string
  readonly clusterName: string
  readonly clusterId: string
  readonly storageType: string
  readonly now: () => number
  /** What is not as it should be, each a public sentence: a failing audit device, a store that may lose data. */
  readonly degraded: () => readonly string[]
}

const codeNames = [
  'activecode', 'standbycode', 'sealedcode', 'uninitcode', 'drsecondarycode', 'performancestandbycode', 'removedcode',
  'haunhealthycode'
]
const bodyBytesMax = 65_536

/**
 * Health, seal-status, leader, init and unseal (contract 5.6, 5.7): routes of their own, since they
 * need no token, have no envelope, and answer what no mount answers. They reveal nothing about
 * what is stored, and are counted instead of audited.
 */
export function registerStatus (app: FastifyInstance, facts: StatusFacts): void {
  route(app, '/v1/sys/health', { GET: (request, reply) => health(request, reply, facts) })
  route(app, '/v1/sys/seal-status', { GET: (_request, reply) => send(reply, 200, sealStatus(facts)) })
  route(app, '/v1/sys/leader', { GET: (_request, reply) => send(reply, 200, leader) })
  route(app, '/v1/sys/init', {
    GET: (_request, reply) => send(reply, 200, { initialized: true }),
    PUT: (_request, reply) => refuse(reply, 400, 'Vault is already initialized')
  })
  route(app, '/v1/sys/unseal', { PUT: (request, reply) => unseal(request, reply, facts) })
}

type Handler = (request: FastifyRequest, reply: FastifyReply) => unknown

/** Registers a path for all methods; those without a handler answer an empty 405. POST is PUT, HEAD is GET. */
function route (app: FastifyInstance, url: string, handlers: { GET?: Handler, PUT?: Handler }): void {
  app.all(url, async (request, reply) => {
    const method = request.method === 'POST' ? 'PUT' : request.method === 'HEAD' ? 'GET' : request.method
    const handler = method === 'GET' ? handlers.GET : method === 'PUT' ? handlers.PUT : undefined
    await (handler === undefined ? refuse(reply, 405) : handler(request, reply))
    return reply
  })
}

const leader = { ha_enabled: false, is_self: false, leader_address: '', leader_cluster_address: '' }

function health (request: FastifyRequest, reply: FastifyReply, facts: StatusFacts) {
  const query = new URL(request.originalUrl, 'http://broker').searchParams
  const codes = new Map<string, number>()
  for (const name of codeNames) {
    const text = query.get(name)
    if (text === null) continue
    const code = /^\d{3}$/.test(text) ? Number(text) : 0
    if (code < 200 || code > 599) return refuse(reply, 400)
    codes.set(name, code)
  }
  const degraded = facts.degraded()
  return send(reply, codes.get('activecode') ?? 200, {
    initialized: true,
    sealed: false,
    standby: false,
    performance_standby: false,
    replication_performance_mode: 'disabled',
    replication_dr_mode: 'disabled',
    server_time_utc: Math.floor(facts.now() / 1000),
    version: facts.version,
    cluster_name: facts.clusterName,
    cluster_id: facts.clusterId,
    ...(degraded.length > 0 && { degraded })
  })
}

function sealStatus (facts: StatusFacts) {
  return {
    type: 'file',
    initialized: true,
    sealed: false,
    t: 1,
    n: 1,
    progress: 0,
    nonce: '',
    recovery_seal: true,
    version: facts.version,
    build_date: facts.buildDate,
    commit_date: facts.buildDate,
    migration: false,
    cluster_name: facts.clusterName,
    cluster_id: facts.clusterId,
    storage_type: facts.storageType
  }
}

/** The broker unseals itself by its master key; a client may still ask, and is told how it is. */
async function unseal (request: FastifyRequest, reply: FastifyReply, facts: StatusFacts) {
  const body = await readObject(request)
  if (body === null) return refuse(reply, 400, 'failed to decode JSON input: a small JSON object is expected')
  const { key } = body
  if (body['reset'] !== true && (typeof key !== 'string' || key === '')) {
    return refuse(reply, 400, '\'key\' must be specified in request body as JSON, or \'reset\' set to true')
  }
  if (typeof key === 'string' && !/^(?:[0-9a-f]{2})+$/i.test(key) && !/^[A-Za-z0-9+/]+={0,2}$/.test(key)) {
    return refuse(reply, 400, '\'key\' must be a valid hex or base64 string')
  }
  return send(reply, 200, sealStatus(facts))
}

async function readObject ({ raw }: FastifyRequest): Promise<Record<string, unknown> | null> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of raw as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > bodyBytesMax) return null
    chunks.push(chunk)
  }
  const text = Buffer.concat(chunks).toString('utf8').trim()
  try {
    const value: unknown = text === '' ? {} : JSON.parse(text)
    if (value === null) return {}
    return typeof value === 'object' && !Array.isArray(value) ? value as Record<string, unknown> : null
  } catch {
    return null
  }
}

function refuse (reply: FastifyReply, status: number, message?: string) {
  return send(reply, status, { errors: message === undefined ? [] : [message] })
}

function send (reply: FastifyReply, status: number, body: object) {
  const text = JSON.stringify(body)
  return reply.code(status)
    .header('content-type', 'application/json')
    .header('cache-control', 'no-store')
    .header('x-content-type-options', 'nosniff')
    .send(Buffer.from(text))
}
