import { eventTypes, type EventType } from '../core/events.ts'
import { invalidRequest } from '../core/errors.ts'
import { bool, commaList, oneOf, strictText, text, textMap, type Input } from '../core/fields.ts'
import { drawShard, handleIn } from '../core/ids.ts'
import { parsePlace, type EgressRules } from '../core/egress.ts'
import type { JsonObject } from '../core/json.ts'
import { withoutSlashes } from '../core/path.ts'
import { parseAddress, parseDestination } from '../notify/destination.ts'
import { destinationOf, type HcpTerraform, type Notifier, type Webhook } from '../notify/notifier.ts'
import { drawSecret, parseSecret, type SigningSecret } from '../notify/signature.ts'
import { timestamp } from './timestamp.ts'

/** The settings of a notifier. What is not sent stays as it is. */
export const notifierFields = {
  type: text('`webhook` or `hcp-terraform`'),
  enabled: bool('Whether it is told anything'),
  events: commaList('What to tell: rotation, tripwire, lease, login-failure, audit-degraded; of HCP Terraform rotation alone'),
  mounts: commaList('webhook: own paths of mounts, as `aws` or `auth/approle`; empty: all'),
  url: text('webhook: where to send, https'),
  secret: strictText('webhook: `whsec_` and 24 to 64 bytes in base64; drawn unless given'),
  include_name: bool('webhook: whether rotations tell the present name'),
  address: text('hcp-terraform: https://app.terraform.io unless given'),
  token: strictText('hcp-terraform: token of a user or team; never given back'),
  workspace_id: text('hcp-terraform: the workspace, `ws-…`'),
  variables: textMap('hcp-terraform: key of the variable for each own path of a mount'),
  category: text('hcp-terraform: `terraform` or `env`'),
  start_run: bool('hcp-terraform: whether to start a run'),
  auto_apply: bool('hcp-terraform: whether that run applies by itself; the workspace decides unless given'),
  message: text('hcp-terraform: message of the run')
}

export type NotifierInput = Input<typeof notifierFields>

const hcpAddress = 'https://app.terraform.io'
const usualEvents: readonly EventType[] = ['rotation', 'tripwire', 'audit-degraded']
const usualMessage = 'Mount names have changed'
const mountsMax = 100
const variablesMax = 50
const messageLengthMax = 256
const tokenForm = /^[\x21-\x7e]{1,1024}$/
const workspaceForm = /^ws-[A-Za-z0-9]{1,64}$/
const variableForm = /^[A-Za-z_][A-Za-z0-9_-]{0,127}$/
const types = ['webhook', 'hcp-terraform'] as const
const categories = ['terraform', 'env'] as const
const ofWebhook = ['mounts', 'url', 'secret', 'include_name'] as const
const ofHcp = ['address', 'token', 'workspace_id', 'variables', 'category', 'start_run', 'auto_apply', 'message'] as const

/** A notifier as it is edited, or made. */
export interface Edited {
  readonly notifier: Notifier
  /** The signing secret, where it was drawn just now. */
  readonly drawn: SigningSecret | null
}

/**
 * What a caller's settings make of a notifier, null where there is none yet.
 *
 * @throws BrokerError `invalid_request` naming the field, and never its value
 */
export function editedNotifier (
  name: string, present: Notifier | null, input: NotifierInput,
  at: { readonly rules: EgressRules, readonly nowMs: number }
): Edited {
  const base = present ?? emptyNotifier(name, oneOf('type', types, input.type), at.nowMs)
  if (input.type !== undefined && input.type !== base.type) throw invalidRequest('the type of a notifier does not change')
  const foreign = (base.type === 'webhook' ? ofHcp : ofWebhook).find((field) => input[field] !== undefined)
  if (foreign !== undefined) throw invalidRequest(`${foreign} is not for notifiers of the type ${base.type}`)
  const drawn = base.type === 'webhook' && base.secrets.length === 0 && input.secret === undefined ? drawSecret() : null
  const edited = base.type === 'webhook' ? editedWebhook(base, input, drawn, at.rules) : editedHcp(base, input, at.rules)
  const enabled = input.enabled ?? base.enabled
  const isTold = base.enabled && destinationOf(base) === destinationOf(edited)
  return {
    drawn,
    notifier: {
      ...edited,
      enabled,
      disabledReason: enabled ? null : edited.disabledReason,
      generation: present === null || isTold ? edited.generation : edited.generation + 1
    }
  }
}

/** A notifier before anything of it was set; what has to be is empty. */
function emptyNotifier (name: string, type: Notifier['type'] | undefined, nowMs: number): Notifier {
  if (type === undefined) throw invalidRequest('missing type')
  const id = handleIn(drawShard())
  const common = { id, name, enabled: true, disabledReason: null, generation: 0, createdAtMs: nowMs }
  if (type === 'webhook') {
    return { ...common, type, events: usualEvents, mounts: [], url: '', includeName: false, secrets: [] }
  }
  return {
    ...common, type, events: ['rotation'], address: hcpAddress, token: '', workspaceId: '', variables: {}, category: 'terraform',
    startRun: false, autoApply: null, message: usualMessage
  }
}

function editedWebhook (base: Webhook, input: NotifierInput, drawn: SigningSecret | null, rules: EgressRules): Webhook {
  const url = input.url ?? base.url
  if (url === '') throw invalidRequest('missing url')
  parseDestination('url', url, rules)
  if (base.secrets.length > 0 && input.secret !== undefined) throw invalidRequest('a secret is replaced by rotate-secret')
  const mounts = input.mounts?.map(parseOwnPath) ?? base.mounts
  if (mounts.length > mountsMax) throw invalidRequest(`mounts has at most ${mountsMax} entries`)
  return {
    ...base,
    url,
    mounts,
    events: events(input.events) ?? base.events,
    includeName: input.include_name ?? base.includeName,
    secrets: base.secrets.length > 0 ? base.secrets : [drawn ?? parseSecret(input.secret ?? '')]
  }
}

function editedHcp (base: HcpTerraform, input: NotifierInput, rules: EgressRules): HcpTerraform {
  const isAlien = events(input.events)?.some((type) => type !== 'rotation') === true
  if (isAlien) throw invalidRequest('HCP Terraform is told of rotation alone')
  const edited: HcpTerraform = {
    ...base,
    address: input.address ?? base.address,
    token: input.token ?? base.token,
    workspaceId: input.workspace_id ?? base.workspaceId,
    variables: variables(input.variables) ?? base.variables,
    category: oneOf('category', categories, input.category) ?? base.category,
    startRun: input.start_run ?? base.startRun,
    autoApply: input.auto_apply ?? base.autoApply,
    message: input.message ?? base.message
  }
  const { host, secure } = parseAddress('address', edited.address, rules)
  // Whoever may change a notifier does not get its token by that (SEC-163).
  const isElsewhere = base.token !== '' && !isAt(base.address, host, secure)
  if (isElsewhere && input.token === undefined) throw invalidRequest('another address needs the token again')
  require('token', edited.token, tokenForm, 'is made of printable characters without spaces')
  require('workspace_id', edited.workspaceId, workspaceForm, 'has the form ws-…')
  if (edited.message.length > messageLengthMax) throw invalidRequest(`message has at most ${messageLengthMax} characters`)
  return edited
}

/** Whether an address that was allowed once is that place, however it is written. */
function isAt (address: string, host: string, secure: boolean): boolean {
  const place = parsePlace(address, (why) => new Error(why))
  return place.host === host && place.secure === secure
}

function require (field: string, value: string, form: RegExp, why: string): void {
  if (value === '') throw invalidRequest(`missing ${field}`)
  if (!form.test(value)) throw invalidRequest(`${field} ${why}`)
}

function events (given: readonly string[] | undefined): EventType[] | undefined {
  if (given === undefined) return undefined
  const known = eventTypes.filter((type) => given.includes(type))
  if (known.length !== new Set(given).size || known.length === 0) throw invalidRequest(`events are of ${eventTypes.join(', ')}`)
  return known
}

function variables (given: Readonly<Record<string, string>> | undefined): Record<string, string> | undefined {
  if (given === undefined) return undefined
  const entries = Object.entries(given)
  if (entries.length > variablesMax) throw invalidRequest(`variables has at most ${variablesMax} entries`)
  if (!entries.every(([, variable]) => variableForm.test(variable))) {
    throw invalidRequest('the key of a variable is made of letters, digits, "_" and "-", and begins with a letter or "_"')
  }
  if (new Set(entries.map(([, variable]) => variable)).size < entries.length) {
    throw invalidRequest('two mounts do not share a variable')
  }
  const byPath = new Map(entries.map(([path, variable]) => [parseOwnPath(path), variable]))
  if (byPath.size < entries.length) throw invalidRequest('a mount has one variable')
  return Object.fromEntries(byPath)
}

/** A mount's own path as events name it. That it exists is not asked: it may come. */
function parseOwnPath (given: string): string {
  const path = withoutSlashes(given).toLowerCase()
  const isPath = path.length <= 300 && /^[a-z0-9_./-]+$/.test(path)
  if (!isPath) throw invalidRequest('a mount is named by its own path, as aws or auth/approle')
  return path
}

/** What is shown of a notifier: all but its secrets. */
export function notifierData (notifier: Notifier): JsonObject {
  const { name, type, enabled, disabledReason, events, createdAtMs } = notifier
  const common = { name, type, enabled, disabled_reason: disabledReason ?? '', events: [...events], creation_time: timestamp(createdAtMs) }
  if (notifier.type === 'webhook') {
    const { mounts, url, includeName, secrets } = notifier
    const ends = secrets.flatMap(({ endsAtMs }) => endsAtMs === null ? [] : [timestamp(endsAtMs)])
    return { ...common, mounts: [...mounts], url, include_name: includeName, former_secrets_end_times: ends }
  }
  const { address, workspaceId, variables, category, startRun, autoApply, message } = notifier
  return {
    ...common, address, workspace_id: workspaceId, variables: { ...variables }, category, start_run: startRun,
    auto_apply: autoApply, message
  }
}
