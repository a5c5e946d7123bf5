/** Whether an address is one that never leaves the machine. */
export function isLoopback (address: string): boolean {
  return /^127(?:\.\d{1,3}){3}$/.test(address) || address === '::1' || address === '[::1]'
}
