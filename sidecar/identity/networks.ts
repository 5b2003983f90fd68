import { BlockList, isIP } from 'node:net';

/** Addresses, and networks such as `10.0.0.0/8`. */
export function networks(listed: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of listed) {
    const [address = '', bits] = network.split('/');
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}

/** IPv4 in the notation of IPv6, which a socket for both gives, is looked for as IPv4 too. */
export function isAmong(list: BlockList, address: string | undefined): boolean {
  // The zone of a link-local address, `%eth0`, is no part of it.
  const plain = address?.replace(/%.*$/, '') ?? '';
  const version = isIP(plain);
  return version !== 0 && list.check(plain, version === 4 ? 'ipv4' : 'ipv6');
}
