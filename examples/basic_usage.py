"""Clients and devices from Python."""

from workspace import workspace

from msp_core.v1 import ClientNotFound


def main() -> None:
    """Create, find and change clients; list the devices of one."""
    with workspace() as toolkit:
        clients = toolkit.get_client_manager()
        made = clients.create(
            "Lindqvist & Söner", contact_email="it@lindqvist.example", tier="gold"
        )
        print(f"Created {made.name} as {made.id}, tier {made.tier}")
        clients.update(made.id, tier="premium", tags=["hipaa"])
        for client in clients.list_clients():
            print(f"  {client.id:30} {client.tier:8} {client.status}")

        acme = clients.get_client("acme-corp")
        devices = toolkit.get_rmm_adapter().get_devices(client_id=acme.rmm_id or "")
        print(f"{acme.name} has {len(devices)} devices:")
        for device in devices[:5]:
            print(f"  {device.name:16} {device.type:12} {device.os_name:40} {device.status}")

        try:
            clients.get_client("acme-crop")
        except ClientNotFound as error:
            print(f"{error.code}: {error.message}. {error.suggestion}")


if __name__ == "__main__":
    main()
