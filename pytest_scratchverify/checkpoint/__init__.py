"""What checkpoint files say: headers, designs, parameter counts."""
