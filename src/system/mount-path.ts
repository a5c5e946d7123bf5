import { invalidRequest } from '../core/errors.ts'
import type { Mount } from '../core/model.ts'

const reserved: ReadonlySet<string> = new Set(['auth', 'sys', 'cubbyhole', 'identity', 'audit'])
const segment = /^[a-z0-9](?:[a-z0-9_.-]*[a-z0-9_-])?$/
const lengthMax = 256

/** Whether a path belongs to the broker itself (contract 5.1). */
export function isReserved ({ table, path }: Pick<Mount, 'table' | 'path'>): boolean {
  return table === 'secret' && reserved.has(path.split('/', 1)[0] ?? '')
}

/**
 * Holds a mount's path to a form in which two names cannot be mistaken for each other (SEC-028).
 *
 * @throws BrokerError `invalid_request`
 */
export function checkMountPath (path: string): void {
  if (path.endsWith('/tune')) throw invalidRequest('a mount path does not end in "/tune": its settings would be another mount\'s')
  if (path.length <= lengthMax && path.split('/').every((part) => segment.test(part))) return
  throw invalidRequest('a mount path is made of lower-case letters, digits, ".", "_" and "-", in segments that begin and end with a letter or digit')
}
