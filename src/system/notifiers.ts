import { operation, type Operation, type Outcome } from '../core/backend.ts'
import { BrokerError, invalidRequest, notFound } from '../core/errors.ts'
import { strictText, text } from '../core/fields.ts'
import type { JsonObject } from '../core/json.ts'
import type { Token } from '../core/model.ts'
import type { DeadLetter } from '../notify/delivery.ts'
import { namesToldOf, type Notifier } from '../notify/notifier.ts'
import type { Notifiers } from '../notify/notifiers.ts'
import { typeOf } from '../notify/sender.ts'
import { drawSecret, parseSecret, replaced, secretText, type SigningSecret } from '../notify/signature.ts'
import type { Acl } from '../policies/acl.ts'
import { editedNotifier, notifierData, notifierFields } from './notifier-fields.ts'
import { timestamp } from './timestamp.ts'

const nameForm = /^[a-z0-9](?:[a-z0-9_.-]{0,62}[a-z0-9])?$/
const testsMax = 4
const nameField = { name: text('Name of the notifier') }
const deadField = { ...nameField, id: text('Id of the delivery') }

export interface NotifierOperationsOptions {
  readonly aclFor: (policies: readonly string[]) => Pick<Acl, 'covers' | 'allowsAtOrBelow'>
}

/**
 * `sys/latchkey/notifiers`: who is told of rotations and alarms, what was given up, and a test. All of
 * it needs sudo, since a notifier makes the broker call out. It is told names that whoever has it told
 * them may resolve, as of then.
 */
export function createNotifierOperations (notifiers: Notifiers, { aclFor }: NotifierOperationsOptions): Operation[] {
  const { table } = notifiers
  let testing = 0

  async function readNotifier (name: string | undefined): Promise<Notifier> {
    const found = nameForm.test(name ?? '') ? await table.find(name ?? '') : null
    if (found === null) throw notFound()
    return found
  }

  /** @throws BrokerError `permission_denied` where names would go where they did not, and are not the caller's to resolve */
  function refuseNames (token: Token | null, present: Notifier | null, edited: Notifier): void {
    const names = namesToldOf(edited)
    const isSame = present !== null && JSON.stringify(namesToldOf(present)) === JSON.stringify(names)
    if (names === null || isSame) return
    const acl = aclFor(token?.policies ?? [])
    const mayResolve = (path: string) =>
      acl.covers(`sys/latchkey/resolve/${path}`, ['read']) && acl.allowsAtOrBelow(`${path}/`)
    if (names.mounts.length === 0 ? acl.covers('*', ['read']) : names.mounts.every(mayResolve)) return
    throw new BrokerError('permission_denied', 'permission denied: a notifier is told names of mounts that the caller may resolve; all of them take "read" on "*"')
  }

  async function test (notifier: Notifier): Promise<Outcome> {
    if (testing >= testsMax) throw new BrokerError('limit_exceeded', 'too many tests are under way')
    testing++
    try {
      const outcome = await notifiers.test(notifier)
      const delivered = outcome.kind === 'done'
      const status = outcome.kind === 'done' || outcome.kind === 'failed' ? outcome.status : null
      return { kind: 'data', data: { delivered, status, failure: outcome.kind === 'failed' ? outcome.failure : null } }
    } finally {
      testing--
    }
  }

  return [
    operation({
      verb: 'list', path: 'latchkey/notifiers', access: 'sudo', summary: 'Lists the notifiers.', fields: {},
      async run () {
        return { kind: 'data', data: { keys: await table.names() } }
      }
    }),
    operation({
      verb: 'read', path: 'latchkey/notifiers/:name', access: 'sudo',
      summary: 'Shows a notifier without its secrets, and how much it still has to tell.',
      fields: nameField,
      async run (_call, { name }) {
        const notifier = await readNotifier(name)
        const { pending, dead } = await notifiers.deadLetters.counts(notifier.id)
        return { kind: 'data', data: { ...notifierData(notifier), pending, dead } }
      }
    }),
    operation({
      verb: 'write', path: 'latchkey/notifiers/:name', access: 'sudo',
      summary: 'Makes a notifier, or changes what is sent of its settings; answers a secret that was drawn, once.',
      fields: { ...notifierFields, ...nameField },
      exists: async (_call, { name = '' }) => nameForm.test(name) && await table.find(name) !== null,
      async run ({ nowMs, token }, { name = '', ...input }) {
        if (!nameForm.test(name)) {
          throw invalidRequest('the name of a notifier is made of lower-case letters, digits, ".", "_" and "-", at most 64, and begins and ends with a letter or digit')
        }
        const edit = (present: Notifier | null) => {
          const edited = editedNotifier(name, present, input, { rules: notifiers.egress, nowMs })
          refuseNames(token, present, edited.notifier)
          return edited
        }
        await notifiers.checkAddresses(edit(await table.find(name)).notifier)
        let drawn: SigningSecret | null = null
        await table.change(name, (present) => {
          const edited = edit(present)
          drawn = edited.drawn
          return edited.notifier
        })
        return drawn === null ? { kind: 'none' } : { kind: 'data', data: { secret: secretText(drawn) } }
      }
    }),
    operation({
      verb: 'delete', path: 'latchkey/notifiers/:name', access: 'sudo',
      summary: 'Removes a notifier with what it still had to tell and what was given up.',
      fields: nameField,
      async run ({ nowMs }, { name = '' }) {
        if (nameForm.test(name)) await table.remove(name, nowMs)
        return { kind: 'none' }
      }
    }),
    operation({
      verb: 'write', path: 'latchkey/notifiers/:name/rotate-secret', access: 'sudo',
      summary: 'Replaces the secret of a webhook; the former one signs too for 24 hours.',
      fields: { ...nameField, secret: strictText('`whsec_` and 24 to 64 bytes in base64; drawn unless given') },
      async run ({ nowMs }, { name, secret }) {
        const { name: found } = await readNotifier(name)
        const next = secret === undefined ? drawSecret() : parseSecret(secret)
        await table.change(found, (present) => {
          if (present?.type !== 'webhook') throw invalidRequest('only a webhook has a secret')
          return { ...present, secrets: replaced(present.secrets, next, nowMs) }
        })
        return secret === undefined ? { kind: 'data', data: { secret: secretText(next) } } : { kind: 'none' }
      }
    }),
    operation({
      verb: 'write', path: 'latchkey/notifiers/:name/test', access: 'sudo',
      summary: 'Sends a test now and tells the status that came back; of HCP Terraform it reads the workspace.',
      fields: nameField,
      run: async (_call, { name }) => test(await readNotifier(name))
    }),
    ...deadOperations(notifiers, readNotifier)
  ]
}

/** `…/dead`: deliveries that were given up. */
function deadOperations (
  { deadLetters }: Notifiers, readNotifier: (name: string | undefined) => Promise<Notifier>
): Operation[] {
  return [
    operation({
      verb: 'list', path: 'latchkey/notifiers/:name/dead', access: 'sudo',
      summary: 'Lists deliveries that were given up, oldest first, with why.',
      fields: nameField,
      async run (_call, { name }) {
        const letters = await deadLetters.list((await readNotifier(name)).id)
        const about = Object.fromEntries(letters.map((letter) => [letter.id, deadData(letter)]))
        return { kind: 'data', data: { keys: letters.map(({ id }) => id), key_info: about } }
      }
    }),
    operation({
      verb: 'read', path: 'latchkey/notifiers/:name/dead/:id', access: 'sudo', summary: 'Shows a delivery that was given up.',
      fields: deadField,
      async run (_call, { name, id = '' }) {
        const letter = await deadLetters.find((await readNotifier(name)).id, id)
        if (letter === null) throw notFound()
        return { kind: 'data', data: deadData(letter) }
      }
    }),
    operation({
      verb: 'delete', path: 'latchkey/notifiers/:name/dead/:id', access: 'sudo', summary: 'Forgets a delivery that was given up.',
      fields: deadField,
      async run (_call, { name, id = '' }) {
        await deadLetters.remove((await readNotifier(name)).id, id)
        return { kind: 'none' }
      }
    }),
    operation({
      verb: 'write', path: 'latchkey/notifiers/:name/dead/:id/retry', access: 'sudo',
      summary: 'Makes a delivery that was given up due again, by the same id.',
      fields: deadField,
      async run ({ nowMs }, { name, id = '' }) {
        if (await deadLetters.retry(await readNotifier(name), id, nowMs) === null) throw notFound()
        return { kind: 'accepted' }
      }
    })
  ]
}

function deadData ({ id, subject, sinceMs, diedAtMs, attempts, failure }: DeadLetter): JsonObject {
  return {
    id,
    event: typeOf(subject),
    attempts,
    last_failure: failure,
    first_time: timestamp(sinceMs),
    given_up_time: timestamp(diedAtMs)
  }
}
