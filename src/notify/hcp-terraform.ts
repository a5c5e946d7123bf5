import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { ownPath } from '../core/model.ts'
import { createOutbound, type Outbound, type WireAnswer } from '../core/outbound.ts'
import { levelOf, type Delivery, type Levels } from './delivery.ts'
import { parseAddress } from './destination.ts'
import type { HcpTerraform } from './notifier.ts'
import { failed, failureOf, retryAfterMs, type Failure, type Outcome } from './outcome.ts'
import type { Sending } from './webhook.ts'

const mediaType = 'application/vnd.api+json'
const limits = { deadlineMs: 10_000, connectMs: 5000, socketsMax: 1, answerBytesMax: 4_194_304, idleMs: 2000 }
const pageSize = 50
const pagesMax = 40
/** Runs that are looked through, the newest: the most that a page may have. */
const runsMax = 100
/** How long one attempt may take with all its requests. */
export const hcpAttemptMs = 100_000

/** A variable that a mount's name goes into. */
interface Target {
  readonly accessor: string
  readonly level: number
  readonly variable: string
  readonly name: string
}

/** Thrown where a request did not come to what it should. */
class Refused extends Error {
  readonly failure: Failure

  constructor (failure: Failure) {
    super(failure.failure)
    this.failure = failure
  }
}

/** The API of one workspace (HCP Terraform API, "Workspace variables" and "Runs"). */
interface Workspace {
  /** Variables by `<category>/<key>`; the value is the variable's id. */
  variables (): Promise<Map<string, string>>
  /** false: there is none. */
  write (id: string, value: string): Promise<boolean>
  /** false: there is one already. */
  create (key: string, value: string): Promise<boolean>
  /** Whether one of the newest runs has a text in its message. */
  hasRun (text: string): Promise<boolean>
  run (message: string): Promise<void>
  look (): Promise<number>
}

/**
 * Writes present names into the variables of a workspace, as sensitive ones, and starts a run. All of
 * it may be repeated: a value is written over itself, and a run is looked for before it is started.
 */
export async function tellHcpTerraform (
  notifier: HcpTerraform, { id, subject }: Delivery, sending: Sending
): Promise<Outcome> {
  if (subject.kind !== 'names') return { kind: 'moot' }
  const targets = targetsOf(notifier, subject.levels, sending)
  if (targets === null) return { kind: 'later' }
  if (targets.length === 0) return { kind: 'moot' }
  return withWorkspace(notifier, sending, async (workspace) => {
    await writeAll(workspace, notifier, targets)
    if (notifier.startRun && !await workspace.hasRun(id)) await workspace.run(`${notifier.message} (${id})`)
    return { kind: 'done', status: 200, told: Object.fromEntries(targets.map(({ accessor, level }) => [accessor, level])) }
  })
}

/** Asks for the workspace, and changes nothing. */
export async function testHcpTerraform (notifier: HcpTerraform, sending: Sending): Promise<Outcome> {
  return withWorkspace(notifier, sending, async (workspace) => ({ kind: 'done', status: await workspace.look(), told: {} }))
}

/** What goes where; null: this broker's table is behind what was noted. */
function targetsOf (notifier: HcpTerraform, levels: Levels, { mounts }: Sending): Target[] | null {
  const targets: Target[] = []
  for (const [accessor, noted] of Object.entries(levels)) {
    const mount = mounts.byAccessor(accessor)
    const level = mount === null ? null : levelOf(mount)
    if (mount === null || level === null) continue
    if (level < noted) return null
    const path = ownPath(mount)
    const variable = Object.hasOwn(notifier.variables, path) ? notifier.variables[path] : undefined
    const name = mounts.presentName(mount)
    if (variable !== undefined && name !== null) targets.push({ accessor, level, variable, name })
  }
  return targets
}

async function writeAll (workspace: Workspace, { category }: HcpTerraform, targets: readonly Target[]): Promise<void> {
  let known = await workspace.variables()
  for (const { variable, name } of targets) {
    const find = () => known.get(`${category}/${variable}`)
    const id = find()
    if (id === undefined ? await workspace.create(variable, name) : await workspace.write(id, name)) continue
    // Somebody else made or removed it meanwhile, or it may not be written.
    known = await workspace.variables()
    const present = find()
    const isWritten = present !== undefined
      ? await workspace.write(present, name)
      : id !== undefined && await workspace.create(variable, name)
    if (isWritten) continue
    const status = present === undefined ? 422 : 404
    throw new Refused(failed(`HCP Terraform did not take the variable ${variable} (${status})`, { status, retry: 'never' }))
  }
}

async function withWorkspace (
  notifier: HcpTerraform, sending: Sending, work: (workspace: Workspace) => Promise<Outcome>
): Promise<Outcome> {
  let outbound: Outbound | null = null
  try {
    const endpoint = parseAddress('address', notifier.address, sending.egress)
    outbound = createOutbound({ ...limits, endpoint, findAddresses: sending.findAddresses })
    return await work(createWorkspace(notifier, outbound, endpoint.host, sending.now))
  } catch (error) {
    return error instanceof Refused ? error.failure : failureOf(error)
  } finally {
    outbound?.close()
  }
}

function createWorkspace (notifier: HcpTerraform, outbound: Outbound, host: string, now: () => number): Workspace {
  const { workspaceId, token, category } = notifier
  const own = `/api/v2/workspaces/${workspaceId}`
  const endMs = performance.now() + hcpAttemptMs - limits.deadlineMs

  /** One request. @throws Refused for a status that is not `good`, with what it means for `what`. */
  async function ask (
    method: 'GET' | 'POST' | 'PATCH', path: string, what: string, good: readonly number[], document?: JsonObject
  ): Promise<{ status: number, answer: WireAnswer }> {
    // Beyond this another broker may have begun the same, and what this one writes may be the older name.
    if (performance.now() > endMs) throw new Refused(failed('it took too long'))
    const body = document === undefined ? null : JSON.stringify(document)
    const answer = await outbound.send({
      method,
      path,
      headers: {
        authorization: `Bearer ${token}`,
        accept: mediaType,
        host,
        'user-agent': 'latchkey',
        ...(body !== null && { 'content-type': mediaType, 'content-length': String(Buffer.byteLength(body)) })
      },
      body
    })
    if (!good.includes(answer.status)) throw new Refused(refusalOf(answer, what, now()))
    return { status: answer.status, answer }
  }

  return {
    async variables () {
      const known = new Map<string, string>()
      for (let page: number | null = 1; page !== null;) {
        if (page > pagesMax) throw new Refused(failed('the workspace has too many variables', { retry: 'never' }))
        const path = `${own}/vars?page%5Bnumber%5D=${page}&page%5Bsize%5D=${pageSize}`
        const document = documentOf((await ask('GET', path, 'list variables', [200])).answer)
        for (const { id, attributes } of resourcesOf(document)) {
          if (typeof attributes['key'] === 'string') known.set(`${String(attributes['category'])}/${attributes['key']}`, id)
        }
        page = nextPage(document, page)
      }
      return known
    },
    async write (id, value) {
      const { status } = await ask('PATCH', `${own}/vars/${encodeURIComponent(id)}`, 'write a variable', [200, 404], {
        data: { id, type: 'vars', attributes: { value, hcl: false, sensitive: true } }
      })
      return status !== 404
    },
    async create (key, value) {
      const { status } = await ask('POST', `${own}/vars`, 'make a variable', [200, 201, 422], {
        data: { type: 'vars', attributes: { key, value, category, hcl: false, sensitive: true, description: 'Kept by Latchkey' } }
      })
      return status !== 422
    },
    async hasRun (text) {
      const { answer } = await ask('GET', `${own}/runs?page%5Bsize%5D=${runsMax}`, 'list runs', [200])
      return resourcesOf(documentOf(answer)).some(({ attributes: { message } }) => typeof message === 'string' && message.includes(text))
    },
    async run (message) {
      await ask('POST', '/api/v2/runs', 'start a run', [200, 201], {
        data: {
          type: 'runs',
          attributes: { message, ...(notifier.autoApply !== null && { 'auto-apply': notifier.autoApply }) },
          relationships: { workspace: { data: { type: 'workspaces', id: workspaceId } } }
        }
      })
    },
    look: async () => (await ask('GET', own, 'read the workspace', [200])).status
  }
}

/** What a status other than success means. 401 is about the token; 404 is also what it may not do. */
function refusalOf (answer: WireAnswer, what: string, nowMs: number): Failure {
  const { status } = answer
  const never = (failure: string) => failed(failure, { status, retry: 'never' })
  if (status === 401) return never('HCP Terraform refused the token (401)')
  if (status === 403) return never(`the token may not ${what} (403)`)
  if (status === 404) return never(`there is no such workspace, or the token may not ${what} (404)`)
  if (status === 429) return failed('HCP Terraform wants fewer requests (429)', { status, retryAfterMs: waitOf(answer, nowMs) })
  const passes = status >= 500 || status === 408 || status === 409 || status === 425
  if (passes) return failed(`HCP Terraform could not ${what} (${status})`, { status, retryAfterMs: retryAfterMs(answer, nowMs) })
  return never(`HCP Terraform refused to ${what} (${status})`)
}

/** HCP Terraform says in seconds when its window of requests begins anew. */
function waitOf (answer: WireAnswer, nowMs: number): number | null {
  const reset = Number(answer.headers['x-ratelimit-reset'] ?? Number.NaN)
  return retryAfterMs(answer, nowMs) ?? (reset >= 0 && reset <= 3600 ? Math.ceil(reset * 1000) : null)
}

function documentOf ({ body }: WireAnswer): JsonObject {
  try {
    const document: unknown = JSON.parse(body.toString('utf8'))
    if (isJsonObject(document)) return document
  } catch {
    // What is no JSON is as useless as what is no object.
  }
  throw new Refused(failed('it did not answer as HCP Terraform does'))
}

function memberOf (value: Json | undefined, name: string): Json | undefined {
  return isJsonObject(value) && Object.hasOwn(value, name) ? value[name] : undefined
}

function resourcesOf (document: JsonObject): { id: string, attributes: JsonObject }[] {
  const data = memberOf(document, 'data')
  if (!Array.isArray(data)) throw new Refused(failed('it did not answer as HCP Terraform does'))
  return data.flatMap((resource: Json) => {
    const id = memberOf(resource, 'id')
    const attributes = memberOf(resource, 'attributes')
    return typeof id === 'string' && isJsonObject(attributes) ? [{ id, attributes }] : []
  })
}

/** The number of the page after this one; null: it is the last. */
function nextPage (document: JsonObject, page: number): number | null {
  const next = memberOf(memberOf(memberOf(document, 'meta'), 'pagination'), 'next-page')
  return typeof next === 'number' && next > page ? next : null
}
